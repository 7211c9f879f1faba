package com.example.ledger;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.example.ledger.account.Account;
import com.example.ledger.account.AccountKind;
import com.example.ledger.account.AccountRepository;
import com.example.ledger.core.LedgerService;
import com.example.ledger.core.Transfer;
import com.example.ledger.fx.Rates;
import java.time.Clock;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class LedgerServiceTest {
    @Test
    void movesMoney() {
        AccountRepository accounts = new AccountRepository();
        Account ann = new Account("A", "ann", "EUR", AccountKind.CURRENT);
        ann.setBalance(10_000);
        accounts.save(ann);
        accounts.save(new Account("B", "bob", "EUR", AccountKind.CURRENT));
        LedgerService ledger = new LedgerService(accounts, new Rates(), Clock.systemUTC());
        ledger.book(new Transfer("1", "A", "B", 2_500, "EUR", "rent", null, false, Instant.now()), false);
        assertEquals(7_500, ann.getBalance());
    }
}
