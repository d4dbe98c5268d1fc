"""What a person says about a result: decisions about the cast, kept in a file that outlives the work folder."""
