package com.example.ledger.account;

public enum AccountKind {
    CURRENT,
    SAVINGS,
    BUSINESS,
    INTERNAL
}
