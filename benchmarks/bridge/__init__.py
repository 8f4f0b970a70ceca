"""The link to microcontrollers and the exported detector, compared with peers."""
