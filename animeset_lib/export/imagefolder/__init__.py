"""imagefolder."""
