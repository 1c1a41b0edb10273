"""Submissions: lay one out, and check what strangers sent. Nothing in them is executed, unpickled or trusted."""
