"""4a_quality, 4b_upscale, 5_crop: which figures are good enough, enlarged where they must be, cut in several framings."""
