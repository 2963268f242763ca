"""Pure: from history and the present to alarms and what is told of them."""
