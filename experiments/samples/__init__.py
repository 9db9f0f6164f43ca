"""Does a deep grid write better text than a deep stack?"""
