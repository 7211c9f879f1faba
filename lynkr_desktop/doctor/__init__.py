"""What `lynkr doctor` looks at, a module per subject. A check reads and asks, and changes nothing."""
