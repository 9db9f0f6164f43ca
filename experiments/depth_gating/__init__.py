"""Does a grid carry upward, along depth, that it is inside a URL?"""
