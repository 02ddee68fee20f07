"""How far to trust a number from so many test rows: 95 % intervals of scores, shares and paired differences."""
