"""Commands from outside: read strictly, verified, carried out once, answered."""
