"""What people see: knows Streamlit, Plotly and click, computes nothing."""
