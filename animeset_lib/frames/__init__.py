"""1_extract, 2_dedupe: from a film to its stills, one of each picture; shots and how alike two stills are."""
