"""The site side: takes pods as interLink sends them and runs each exactly once."""
