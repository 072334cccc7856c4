"""Meta normalisation and hashing, fbc and fbp. It keeps no clear text."""
