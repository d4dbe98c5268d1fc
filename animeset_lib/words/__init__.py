"""6a_tag, 6b_attributes, 6c_caption: from what is seen to the words of a caption; the vocabulary of booru tags, and traits."""
