"""Does a stack of 6 layers train without dropout, and why does its loss stay flat at first?"""
