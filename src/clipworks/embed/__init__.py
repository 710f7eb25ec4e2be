"""Many pictures to embedding folders, resumably."""
