package com.example.ledger.account;

/** An account with its balance in cents. */
public class Account {
    private final String iban;
    private final String owner;
    private final String currency;
    private long balance;
    private long overdraft;
    private boolean frozen;
    private AccountKind kind;

    public Account(String iban, String owner, String currency, AccountKind kind) {
        this.iban = iban;
        this.owner = owner;
        this.currency = currency;
        this.kind = kind;
    }

    public String getIban() {
        return iban;
    }

    public String getOwner() {
        return owner;
    }

    public String getCurrency() {
        return currency;
    }

    public long getBalance() {
        return balance;
    }

    public void setBalance(long balance) {
        this.balance = balance;
    }

    public long getOverdraft() {
        return overdraft;
    }

    public void setOverdraft(long overdraft) {
        this.overdraft = overdraft;
    }

    public boolean isFrozen() {
        return frozen;
    }

    public void setFrozen(boolean frozen) {
        this.frozen = frozen;
    }

    public AccountKind getKind() {
        return kind;
    }
}
