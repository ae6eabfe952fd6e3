"""What the pages say is true: links lead somewhere, commands are words that lbctl knows."""
