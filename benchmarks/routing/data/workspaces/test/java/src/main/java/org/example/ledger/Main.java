package org.example.ledger;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.Set;
import org.example.ledger.feed.PaymentFeed;
import org.example.ledger.model.Account;
import org.example.ledger.posting.AuditLog;
import org.example.ledger.posting.Ledger;
import org.example.ledger.rates.RateTable;
import org.example.ledger.report.Letterhead;
import org.example.ledger.report.TrialBalance;
import org.example.ledger.util.BankDays;

public final class Main {
    private Main() {
    }

    public static void main(String[] args) throws IOException {
        Ledger ledger = new Ledger(new RateTable(), new BankDays(Set.of()), new AuditLog());
        ledger.open(new Account(Ledger.SUSPENSE, Account.Kind.LIABILITY, "EUR", LocalDate.EPOCH));
        ledger.open(new Account("1000", Account.Kind.ASSET, "EUR", LocalDate.EPOCH));
        PaymentFeed.Outcome outcome = new PaymentFeed(ledger).read(Files.newBufferedReader(Path.of(args[0])));
        System.out.println(new Letterhead("Example Bank", "Zurich").text());
        System.out.println(outcome);
        System.out.print(new TrialBalance(ledger).print(LocalDate.now()));
    }
}
