"""Two rays in a factory hall: is there a reflection on the floor?"""
