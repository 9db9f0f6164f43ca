"""Does a stack of 6 layers train without dropout, and where does its flat line come from?"""
