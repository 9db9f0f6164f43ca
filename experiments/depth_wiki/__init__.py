"""Does a deep grid predict Wikipedia text better than a deep stack?"""
