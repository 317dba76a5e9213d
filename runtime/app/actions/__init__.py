"""Actions: rules about what is seen, and what happens then. Events wait in a file until they are delivered."""
