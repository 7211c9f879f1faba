module example.com/cronos

go 1.22
