"""Imports: data from elsewhere, through steps, into stores."""
