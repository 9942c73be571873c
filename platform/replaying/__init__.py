"""Labels from files at a stated price, and cheap methods posing as dear ones."""
