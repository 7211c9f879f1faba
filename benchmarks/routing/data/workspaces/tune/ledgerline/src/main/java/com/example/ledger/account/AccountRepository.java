package com.example.ledger.account;

import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

public class AccountRepository {
    private final Map<String, Account> accounts = new ConcurrentHashMap<>();

    public Optional<Account> find(String iban) {
        return Optional.ofNullable(accounts.get(iban));
    }

    public void save(Account account) {
        accounts.put(account.getIban(), account);
    }

    public Collection<Account> all() {
        return accounts.values();
    }
}
