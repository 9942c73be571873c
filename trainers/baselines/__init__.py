"""What trained networks are compared with: sGDML, and learning the difference of two methods."""
