"""The user's side: programs that talk to a facility as a person does."""
