"""Drives the scheduler live: the loop, the requests of users, the news of nodes, the commands to them."""
