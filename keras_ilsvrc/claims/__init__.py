"""Claims of the papers, each tested by training two or more arms that differ in one thing."""
