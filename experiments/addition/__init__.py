"""Does depth help to add, and does it matter which weights the layers share?"""
