"""Programs for those who maintain the repository; no distribution has them."""
