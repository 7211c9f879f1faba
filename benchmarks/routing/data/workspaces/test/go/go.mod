module example.org/arena

go 1.21
