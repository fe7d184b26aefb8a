/// A row-major window on memory somebody else owns: `rows` x `columns`, rows `stride` elements apart.
///
/// Whoever makes the view guarantees that the owner outlives it and that (rows - 1) * stride + columns elements exist.
package struct MatrixView<Element: BitwiseCopyable>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Element>
  package let rows: Int
  package let columns: Int
  package let stride: Int

  package init(_ pointer: UnsafeMutablePointer<Element>, rows: Int, columns: Int, stride: Int? = nil) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// The first `rows` x `columns` elements of a buffer, rows packed without gaps.
  package init(_ buffer: AlignedBuffer<Element>, rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0 && rows * columns <= buffer.count, "MatrixView: larger than its buffer")
    self.init(buffer.pointer, rows: rows, columns: columns)
  }

  package func row(_ index: Int) -> UnsafeMutablePointer<Element> {
    assert(index >= 0 && index < rows)
    return pointer + index * stride
  }

  /// Rows `range` of this view, sharing its memory.
  package func slice(rows range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "MatrixView: rows out of range")
    return MatrixView(pointer + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }

  /// Columns `range` of every row, sharing its memory.
  package func slice(columns range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "MatrixView: columns out of range")
    return MatrixView(pointer + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }
}
