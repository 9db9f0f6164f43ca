"""Does the deep grid write better text than the deep stack?"""
