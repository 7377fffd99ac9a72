"""The truth about a study: commands in, events and a reply out; knows no time, threads, files, chance, or who asks."""
