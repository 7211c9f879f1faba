package org.example.ledger.posting;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.example.ledger.feed.PaymentFeed;
import org.example.ledger.model.Account;
import org.example.ledger.model.Batch;
import org.example.ledger.model.Entry;
import org.example.ledger.model.Money;
import org.example.ledger.rates.RateTable;
import org.example.ledger.report.StatementWriter;
import org.example.ledger.report.TrialBalance;
import org.example.ledger.util.BankDays;
import org.example.ledger.util.Iban;

/** Accounts, bookings, holds, interest, closing of periods, payments that come in. */
public final class Ledger {
    public static final String SUSPENSE = "9999";
    public static final String FX_RESULT = "8800";
    public static final String INTEREST_PAID = "7100";

    private final Map<String, Account> accounts = new LinkedHashMap<>();
    private final Map<String, Map<String, Money>> holds = new HashMap<>();
    private final Set<String> seen = new HashSet<>();
    private final Map<String, String> reversed = new HashMap<>();
    private final Map<String, BigDecimal> interest = new HashMap<>();
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
    private final Journal journal = new Journal(this);
    private final RateTable rates;
    private final BankDays days;
    private final AuditLog audit;
    private LocalDate closedUntil = LocalDate.MIN;
    private int rejected;

    public Ledger(RateTable rates, BankDays days, AuditLog audit) {
        this.rates = rates;
        this.days = days;
        this.audit = audit;
        audit.attach(this);
    }

    public Journal journal() {
        return journal;
    }

    public Account account(String number) {
        Account account = accounts.get(number);
        if (account == null) {
            throw new PostingException("unknown-account", "there is no account " + number);
        }
        return account;
    }

    public List<Account> accounts() {
        lock.readLock().lock();
        try {
            return List.copyOf(accounts.values());
        } finally {
            lock.readLock().unlock();
        }
    }

    public void open(Account account) {
        lock.writeLock().lock();
        try {
            if (accounts.putIfAbsent(account.number(), account) != null) {
                throw new PostingException("duplicate", account.number() + " exists");
            }
            audit.note("open", account.number());
        } finally {
            lock.writeLock().unlock();
        }
    }

    public Money available(String number, LocalDate on) {
        Money balance = journal.balance(number, on);
        Account account = account(number);
        Money held = Money.zero(account.currency());
        for (Money hold : holds.getOrDefault(number, Map.of()).values()) {
            held = held.plus(hold);
        }
        if (account.kind() == Account.Kind.LIABILITY) {
            balance = balance.negated();
        }
        return balance.minus(held).plus(account.limit());
    }

    public void hold(String number, String reference, Money amount) {
        lock.writeLock().lock();
        try {
            Account account = account(number);
            if (account.frozen() || account.closed() != null) {
                throw new PostingException("blocked", number + " is blocked");
            }
            if (available(number, LocalDate.now()).compareTo(amount) < 0) {
                throw new PostingException("funds", number + " has not enough");
            }
            holds.computeIfAbsent(number, n -> new HashMap<>()).put(reference, amount);
        } finally {
            lock.writeLock().unlock();
        }
    }

    public void release(String number, String reference) {
        lock.writeLock().lock();
        try {
            Map<String, Money> table = holds.get(number);
            if (table != null) {
                table.remove(reference);
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    /** Books a batch whole or not at all. A batch whose id was booked before is ignored. */
    public List<Entry> post(Batch batch) {
        lock.writeLock().lock();
        try {
            if (!seen.add(batch.id())) {
                return journal.batch(batch.id());
            }
            LocalDate value = days.next(batch.date());
            List<Batch.Line> lines = new ArrayList<>(batch.lines());
            Map<String, Long> sums = new LinkedHashMap<>();
            try {
                if (lines.size() < 2) {
                    throw new PostingException("one-sided", "a batch has two lines at least");
                }
                if (!value.isAfter(closedUntil)) {
                    if (batch.reverses() == null) {
                        throw new PostingException("closed", "the period until " + closedUntil + " is closed");
                    }
                    value = days.next(closedUntil.plusDays(1));
                }
                for (Batch.Line line : lines) {
                    Account account = account(line.account());
                    if (account.closed() != null && !account.closed().isAfter(value)) {
                        throw new PostingException("closed-account", line.account() + " is closed");
                    }
                    if (account.frozen() && line.amount().isNegative() == (account.kind() == Account.Kind.ASSET)) {
                        throw new PostingException("frozen", line.account() + " is frozen");
                    }
                    if (value.isBefore(account.opened())) {
                        throw new PostingException("too-early", line.account() + " was not open then");
                    }
                    if (!account.currency().equals(line.amount().currency())) {
                        throw new PostingException("currency", line.account() + " is kept in " + account.currency());
                    }
                    sums.merge(line.amount().currency(), line.amount().minor(), Math::addExact);
                }
                long rest = 0;
                boolean foreign = sums.size() > 1;
                for (Map.Entry<String, Long> sum : sums.entrySet()) {
                    if (!foreign && sum.getValue() != 0) {
                        throw new PostingException("unbalanced", "off by " + sum.getValue() + " " + sum.getKey());
                    }
                    if (foreign) {
                        rest = Math.addExact(rest, rates.convert(new Money(sum.getValue(), sum.getKey()), "EUR", value).minor());
                    }
                }
                if (foreign && rest != 0) {
                    if (Math.abs(rest) > 5L * lines.size()) {
                        throw new PostingException("unbalanced", "off by " + rest + " EUR after conversion");
                    }
                    lines.add(new Batch.Line(FX_RESULT, new Money(-rest, "EUR"), "rounding"));
                }
                for (Batch.Line line : lines) {
                    Account account = account(line.account());
                    boolean draws = account.kind() == Account.Kind.LIABILITY
                            ? !line.amount().isNegative()
                            : account.kind() == Account.Kind.ASSET && line.amount().isNegative();
                    if (draws && batch.reverses() == null) {
                        Money wanted = line.amount().isNegative() ? line.amount().negated() : line.amount();
                        if (available(line.account(), value).compareTo(wanted) < 0) {
                            throw new PostingException("funds", line.account() + " has not enough");
                        }
                    }
                }
            } catch (PostingException | ArithmeticException | IllegalStateException e) {
                seen.remove(batch.id());
                rejected++;
                audit.note("reject", batch.id());
                throw e;
            }
            List<Entry> booked = new ArrayList<>();
            for (Batch.Line line : lines) {
                Entry entry = new Entry(journal.nextSequence(), line.account(), line.amount(), value, line.text(), batch.id());
                journal.append(entry);
                booked.add(entry);
            }
            if (batch.reverses() != null) {
                reversed.put(batch.reverses(), batch.id());
            }
            audit.note("post", batch.id());
            return booked;
        } finally {
            lock.writeLock().unlock();
        }
    }

    public List<Entry> reverse(String id, String user) {
        lock.writeLock().lock();
        try {
            List<Entry> old = journal.batch(id);
            if (old.isEmpty()) {
                throw new PostingException("unknown-batch", "nothing was booked as " + id);
            }
            if (reversed.containsKey(id)) {
                throw new PostingException("reversed", id + " was reversed by " + reversed.get(id));
            }
            List<Batch.Line> lines = new ArrayList<>();
            for (Entry entry : old) {
                lines.add(new Batch.Line(entry.account(), entry.amount().negated(), "reversal of " + entry.text()));
            }
            return post(new Batch("R-" + id, LocalDate.now(), lines, id, user));
        } finally {
            lock.writeLock().unlock();
        }
    }

    /** A payment from outside: to the account if it can be booked there, else to suspense. */
    public String receive(PaymentFeed.Payment payment) {
        String target = SUSPENSE;
        String why = "";
        if (!Iban.valid(payment.iban())) {
            why = "bad IBAN";
        } else {
            for (Account account : accounts()) {
                if (!payment.iban().endsWith(account.number())) {
                    continue;
                }
                if (account.closed() != null) {
                    why = "closed";
                } else if (account.frozen()) {
                    why = "frozen";
                } else if (!account.currency().equals(payment.amount().currency())) {
                    why = "currency";
                } else {
                    target = account.number();
                    why = "";
                }
                break;
            }
        }
        Money amount = payment.amount();
        List<Batch.Line> lines = List.of(
                new Batch.Line(payment.nostro(), amount, payment.text()),
                new Batch.Line(target, amount.negated(), why.isEmpty() ? payment.text() : why + ": " + payment.text()));
        post(new Batch(payment.id(), payment.date(), lines, null, "feed"));
        return target;
    }

    public void accrue(LocalDate day, BigDecimal yearly) {
        lock.writeLock().lock();
        try {
            for (Account account : accounts.values()) {
                if (account.kind() != Account.Kind.LIABILITY || account.closed() != null) {
                    continue;
                }
                Money balance = journal.balance(account.number(), day).negated();
                if (balance.isNegative()) {
                    continue;
                }
                BigDecimal daily = BigDecimal.valueOf(balance.minor()).multiply(yearly)
                        .divide(BigDecimal.valueOf(day.lengthOfYear()), 10, RoundingMode.HALF_EVEN);
                interest.merge(account.number(), daily, BigDecimal::add);
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    public void closePeriod(LocalDate until) {
        lock.writeLock().lock();
        try {
            if (!until.isAfter(closedUntil)) {
                throw new PostingException("closed", "closed already");
            }
            for (Map.Entry<String, BigDecimal> due : new HashMap<>(interest).entrySet()) {
                long minor = due.getValue().setScale(0, RoundingMode.HALF_EVEN).longValueExact();
                if (minor == 0) {
                    continue;
                }
                Account account = account(due.getKey());
                Money amount = new Money(minor, account.currency());
                post(new Batch("I-" + until + "-" + due.getKey(), until, List.of(
                        new Batch.Line(INTEREST_PAID, amount, "interest"),
                        new Batch.Line(due.getKey(), amount.negated(), "interest")), null, "system"));
                interest.put(due.getKey(), due.getValue().subtract(BigDecimal.valueOf(minor)));
            }
            if (!new TrialBalance(this).balanced(until)) {
                throw new PostingException("unbalanced", "the books do not balance on " + until);
            }
            closedUntil = until;
            audit.note("close", until.toString());
        } finally {
            lock.writeLock().unlock();
        }
    }

    public String statement(String number, LocalDate from, LocalDate to) {
        return new StatementWriter(this).write(number, from, to);
    }

    public int rejected() {
        return rejected;
    }
}
