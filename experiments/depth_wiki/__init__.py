"""Is a deep grid better than a deep stack on Wikipedia text?"""
