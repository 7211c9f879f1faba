"""Finding books."""

from .constants import DEFAULT_PAGE_SIZE
from .models import Book
from .slug import slugify, with_number


class Catalog:
    def __init__(self, books: list[Book]) -> None:
        self._books = {book.sku: book for book in books}
        self._slugs: dict[str, str] = {}
        for book in books:
            self._add_slug(book)

    def _add_slug(self, book: Book) -> None:
        base, number = slugify(book.title), 1
        while with_number(base, number) in self._slugs:
            number += 1
        self._slugs[with_number(base, number)] = book.sku

    def get(self, sku: str) -> Book | None:
        return self._books.get(sku)

    def by_slug(self, slug: str) -> Book | None:
        sku = self._slugs.get(slug)
        return self._books[sku] if sku else None

    def search(self, words: str, author: str | None = None, page: int = 1) -> list[Book]:
        wanted = words.lower().split()
        found = []
        for book in self._books.values():
            if author and author.lower() not in book.author.lower():
                continue
            text = f"{book.title} {book.author}".lower()
            if all(word in text for word in wanted):
                found.append(book)
        found.sort(key=lambda book: book.title)
        start = (page - 1) * DEFAULT_PAGE_SIZE
        return found[start : start + DEFAULT_PAGE_SIZE]
