"""The program that receives events, judges them, stores them and shows them."""
