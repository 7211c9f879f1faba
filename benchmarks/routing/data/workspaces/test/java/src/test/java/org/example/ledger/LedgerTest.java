package org.example.ledger;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.LocalDate;
import java.util.List;
import java.util.Set;
import org.example.ledger.model.Account;
import org.example.ledger.model.Batch;
import org.example.ledger.model.Money;
import org.example.ledger.posting.AuditLog;
import org.example.ledger.posting.Ledger;
import org.example.ledger.posting.PostingException;
import org.example.ledger.rates.RateTable;
import org.example.ledger.util.BankDays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LedgerTest {
    private static final LocalDate DAY = LocalDate.of(2024, 3, 5);
    private Ledger ledger;

    @BeforeEach
    void open() {
        ledger = new Ledger(new RateTable(), new BankDays(Set.of()), new AuditLog());
        ledger.open(new Account("1000", Account.Kind.ASSET, "EUR", DAY));
        ledger.open(new Account("2001", Account.Kind.LIABILITY, "EUR", DAY));
    }

    private Batch deposit(String id, String amount) {
        Money money = Money.of(amount, "EUR");
        return new Batch(id, DAY, List.of(new Batch.Line("1000", money, "in"), new Batch.Line("2001", money.negated(), "in")), null, "t");
    }

    @Test
    void booksBothSides() {
        ledger.post(deposit("a", "12.00"));
        assertEquals(1200, ledger.available("2001", DAY).minor());
    }

    @Test
    void theSameBatchIsBookedOnce() {
        ledger.post(deposit("a", "12.00"));
        ledger.post(deposit("a", "12.00"));
        assertEquals(1200, ledger.available("2001", DAY).minor());
    }

    @Test
    void oneSideAloneIsRefused() {
        Batch bad = new Batch("b", DAY, List.of(new Batch.Line("1000", Money.of("1", "EUR"), "")), null, "t");
        assertThrows(PostingException.class, () -> ledger.post(bad));
    }
}
