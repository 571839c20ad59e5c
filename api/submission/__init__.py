"""How jobs are taken, alone and by the batch."""
