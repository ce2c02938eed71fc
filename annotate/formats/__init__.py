"""Import and export formats, one module each and free of Django: files can be read anywhere."""
