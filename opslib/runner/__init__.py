"""Runs notebooks; knows parameters, keys and folders, never what a module is."""
