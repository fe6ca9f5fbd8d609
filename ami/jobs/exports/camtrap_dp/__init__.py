"""The table schemas and the profile of Camtrap DP 1.0, as far as packages are checked by them."""
