"""What is known of devices, as data: vendors by enterprise number; profiles come with later capabilities."""
