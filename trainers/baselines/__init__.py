"""What trained networks are compared with: sGDML, and labels of two methods at one geometry."""
