"""From a published film folder to what each trainer loads, and the linter that loads it the same way."""
